//! Sockets for the milena client: connects, resolves, reads and writes frames; decides nothing.
