//! Three ways to declare data, so that a type's fields, its one encoding and its form for people are one text.
//!
//! - `record!`: a struct; its encoding is that of its fields, in order.
//! - `tagged!`: an enum; its encoding is a byte that names the variant, then the variant's fields. Tags are
//!   written out: they are part of the format and never reused.
//! - `coded!`: an enum of reasons; each variant has a text, a hint, and its own name as a stable code.

/// Declares a struct with the bounded codec and serde's form, unknown keys refused.
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$field_meta:meta])* pub $field:ident : $type:ty ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
        }

        impl synod_types::Encode for $name {
            fn encode(&self, out: &mut synod_types::Encoder) {
                let _ = &out; // A record without fields writes nothing.
                $( self.$field.encode(out); )*
            }
        }

        impl synod_types::Decode for $name {
            fn decode(input: &mut synod_types::Decoder<'_>) -> Result<Self, synod_types::DecodeError> {
                let _ = &input;
                $( let $field = <$type as synod_types::Decode>::decode(
                    input.reading(concat!(stringify!($name), ".", stringify!($field))))?; )*
                Ok(Self { $($field),* })
            }
        }
    };
}

/// Declares an enum with the bounded codec and serde's form (names in snake case, unknown keys refused).
macro_rules! tagged {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$variant_meta:meta])* $tag:literal => $variant:ident
               $( ( $inner:ty ) )?
               $( { $( $(#[$field_meta:meta])* $field:ident : $type:ty ),* $(,)? } )?
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case", deny_unknown_fields)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant
               $( ( $inner ) )?
               $( { $( $(#[$field_meta])* $field: $type, )* } )?, )*
        }

        impl synod_types::Encode for $name {
            fn encode(&self, out: &mut synod_types::Encoder) {
                tagged!(@encode self, out, $name, $( $tag => $variant $( ( $inner ) )? $( { $( $field : $type ),* } )? ),*);
            }
        }

        impl synod_types::Decode for $name {
            fn decode(input: &mut synod_types::Decoder<'_>) -> Result<Self, synod_types::DecodeError> {
                let at = input.reading(concat!("kind of ", stringify!($name))).clone();
                match <u8 as synod_types::Decode>::decode(input)? {
                    $( $tag => Ok(Self::$variant
                        $( (<$inner as synod_types::Decode>::decode(input)?) )?
                        $( { $( $field: <$type as synod_types::Decode>::decode(input)?, )* } )?), )*
                    _ => Err(at.error(synod_types::codec::DecodeReason::ValueNotAllowed)),
                }
            }
        }
    };
    (@encode $self:ident, $out:ident, $name:ident,
        $( $tag:literal => $variant:ident $( ( $inner:ty ) )? $( { $( $field:ident : $type:ty ),* } )? ),* ) => {
        $( tagged!(@one $self, $out, $name, $tag, $variant $( ( $inner ) )? $( { $( $field ),* } )?); )*
    };
    (@one $self:ident, $out:ident, $name:ident, $tag:literal, $variant:ident) => {
        if matches!($self, $name::$variant) {
            synod_types::Encode::encode(&{ $tag as u8 }, $out);
        }
    };
    (@one $self:ident, $out:ident, $name:ident, $tag:literal, $variant:ident ( $inner:ty )) => {
        if let $name::$variant(value) = $self {
            synod_types::Encode::encode(&{ $tag as u8 }, $out);
            synod_types::Encode::encode(value, $out);
        }
    };
    (@one $self:ident, $out:ident, $name:ident, $tag:literal, $variant:ident { $( $field:ident ),* }) => {
        if let $name::$variant { $( $field ),* } = $self {
            synod_types::Encode::encode(&{ $tag as u8 }, $out);
            $( synod_types::Encode::encode($field, $out); )*
        }
    };
}

/// Declares an enum of reasons with texts, hints and codes.
macro_rules! coded {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident
               $( { $( $(#[$field_meta:meta])* $field:ident : $type:ty ),* $(,)? } )?
               => $hint:literal
            ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant $( { $( $(#[$field_meta])* $field: $type, )* } )?, )*
        }

        impl $name {
            /// The stable code: the reason's name.
            pub const fn code(&self) -> &'static str {
                match self {
                    $( Self::$variant $( { $( $field: _, )* } )? => stringify!($variant), )*
                }
            }

            /// What to do about it.
            pub const fn hint(&self) -> &'static str {
                match self {
                    $( Self::$variant $( { $( $field: _, )* } )? => $hint, )*
                }
            }
        }
    };
}

pub(crate) use {coded, record, tagged};
