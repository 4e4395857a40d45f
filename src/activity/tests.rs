//! Activities driven by hand, as the runtime drives them.
