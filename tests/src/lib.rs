//! The tests of the whole program live in `whole_program/`; this library is empty.
