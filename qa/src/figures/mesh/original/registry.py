"""Runs re6stnet's registry, whose release tells newcomers the representation of a peer's address, which its node gave it, instead of the
address: they would be alone until they happen to be told of the registry's own node."""

from re6st import registry
from re6st.cli.registry import main

asked = registry.RegistryServer._queryAddress


def address_of(self, peer):
    address = asked(self, peer)
    return address[2:-1] if address and address.startswith("b'") else address


registry.RegistryServer._queryAddress = address_of
main()
