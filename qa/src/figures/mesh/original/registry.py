"""Runs re6stnet's registry, whose release tells newcomers the representation of a peer's address instead of the address."""

from re6st import registry
from re6st.cli.registry import main

asked = registry.RegistryServer._queryAddress


def address_of(self, peer):
    address = asked(self, peer)
    return address.decode() if isinstance(address, bytes) else address


registry.RegistryServer._queryAddress = address_of
main()
