//! API tokens: their text, their store, and those that were provided from outside.

mod book;
mod provided;
mod secret;
mod store;

pub(crate) use book::{Book, BookError, Grant, make};
pub(crate) use provided::{Provided, read as read_provided};
pub(crate) use secret::{Digest, Secret};
pub(crate) use store::{Store, StoreError, read as read_store};
