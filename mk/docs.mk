# The documentation site: docs/*.md with Sphinx (docs/conf.py). The reference is made from docstrings, *.d.lua, the public
# headers and the command line's parser (docs/_ext).
#
#   docs        build/docs/html; warnings are errors, and the reference must have each public name (scripts/check-reference)
#   docs-links  the same, and each link and place of the built pages is there, and nothing is loaded from elsewhere
#   spell       the words of pages, comments that become pages, and messages (scripts/spell, scripts/words.txt)
.PHONY: docs docs-links spell setup-docs
setup-docs:
	@scripts/setup docs

docs: setup-docs
	@$(AGAIN) python
	@$(VENV)/bin/sphinx-build -q -E -W --keep-going -b html -d $(BUILD)/docs/doctrees docs $(BUILD)/docs/html
	@$(PYTHON) scripts/check-reference $(BUILD)/docs/html
	@echo "the site: $(BUILD)/docs/html/index.html"

docs-links: docs
	@$(PYTHON) scripts/check-links $(BUILD)/docs/html

spell: setup-docs
	@$(PYTHON) scripts/spell
