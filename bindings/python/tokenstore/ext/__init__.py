"""Plug-ins for web frameworks. Each is a module that imports its framework, and that nothing else imports."""
