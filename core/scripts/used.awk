# Leaves out the functions that a script does not use. A function begins with "local function" and ends with "end", both
# at the start of a line; what uses it stands behind it. Comments are gone already; indentation goes here.
{ line[NR] = $0 }
/^local function / { name = $3; sub(/\(.*/, "", name) }
{ block[NR] = name }
/^end/ { name = "" }

END {
  for (i = NR; i > 0; i--) {
    if (block[i] != "" && !(block[i] in used)) { line[i] = ""; continue }
    text = line[i]
    gsub(/[.:][a-z_]+/, " ", text)
    n = split(text, words, /[^A-Za-z0-9_]+/)
    for (k = 1; k <= n; k++) if (words[k] != block[i]) used[words[k]]
  }
  for (i = 1; i <= NR; i++) {
    sub(/^ */, "", line[i])
    if (line[i] != "") print line[i]
  }
}
