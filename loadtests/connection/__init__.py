"""A Socket.IO client on one epoll for all sockets; ``protocol`` is its core without I/O."""
