"""Recipes of slapos.cookbook for the buildout of the Python registry, whose options are texts only. Nexedi's own buildout keeps any value."""
import json

from slapos.recipe.request import Recipe as Requested
from slapos.recipe.slapconfiguration import Recipe as Configured


class Options(object):
    def __init__(self, options):
        self.options = options

    def __getattr__(self, name):
        return getattr(self.options, name)

    def __getitem__(self, name):
        return self.options[name]

    def __contains__(self, name):
        return name in self.options

    def __iter__(self):
        return iter(self.options)

    def __setitem__(self, name, value):
        if isinstance(value, bytes):
            value = value.decode()
        if not isinstance(value, str):
            value = json.dumps(value, default=sorted)
        self.options[name] = value


class Instance(Configured):
    def __init__(self, buildout, name, options):
        super().__init__(buildout, name, Options(options))


class Request(Requested):
    def __init__(self, buildout, name, options):
        super().__init__(buildout, name, Options(options))
