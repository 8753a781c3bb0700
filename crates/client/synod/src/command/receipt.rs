//! `synod receipt get|verify`.
