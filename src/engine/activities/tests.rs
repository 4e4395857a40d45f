//! A core on the model store, with its activities driven by hand.
