"""What virtual users do: one behaviour a module, which has the name of its scenario group.

Every behaviour is a ``virtual_user.VirtualUser``, and ``registry`` finds them all.
``docs/extending.md`` says how to add one.
"""
