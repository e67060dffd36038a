//! What milena's producer, consumer and admin share: addresses, property files, and the wiring of cluster and sockets.
