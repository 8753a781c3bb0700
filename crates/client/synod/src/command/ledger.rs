//! `synod ledger verify|show`.
