# Spike against real authorization servers (suite oauth): oidc-provider, oauth2-mock-server and
# @node-oauth/oauth2-server from npm, authlib and django-oauth-toolkit from PyPI, each started once; in Python, on
# asyncio, in Lua and in nginx. Without Node some tests are skipped.
#
#   test-oauth   all; PYTEST_FLAGS="-k authlib" for some
SUITES += oauth

.PHONY: test-oauth
test-oauth: python lua
	@$(PY_PATH) $(LUA_ENV) $(RUN) $(PYTHON) -m pytest -q -rs $(PYTEST_FLAGS) tests/oauth
