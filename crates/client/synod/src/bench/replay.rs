//! `bench replay`.
