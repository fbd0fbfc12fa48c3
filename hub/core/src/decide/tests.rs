//! A first walk through the whole: everything else has its own tests.
