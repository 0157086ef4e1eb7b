# The documentation site: docs/*.md with Sphinx (docs/conf.py).
#
#   docs  build/docs/html; warnings are errors
.PHONY: docs setup-docs
setup-docs:
	@scripts/setup docs

docs: setup-docs
	@$(AGAIN) python
	@$(VENV)/bin/sphinx-build -q -W --keep-going -b html -d $(BUILD)/docs/doctrees docs $(BUILD)/docs/html
	@echo "the site: $(BUILD)/docs/html/index.html"
