//! How a value that is written as text looks in a JSON schema: in its place, with the pattern that it has to match.

/// Gives a type its schema: `text!(Type, "pattern": …, "maxLength": …)`.
macro_rules! text {
    ($type:ident, $($member:tt)+) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", $($member)+ })
            }
        }
    };
}

pub(crate) use text;
