//! `scale.provisioned`: a number of instances, or a list of them with the times at which they are kept.

use super::value::Item;
use super::{Written, key};
use crate::code::Code;
use crate::fault::{Fault, Result};
use crate::schedule::ZONE_DEFAULT;
use crate::spec::{During, Provisioned};

/// One entry of the list. What each field means stands in [`key::PROVISIONED`], for people too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub count: Option<Written<u32>>,
    pub from: Option<Written<String>>,
    pub to: Option<Written<String>>,
    pub zone: Option<Written<String>>,
}

/// Reads the key.
///
/// # Errors
/// `HOB-0102` and `HOB-0103` with the line.
pub(super) fn read(item: &Item<'_>) -> Result<Written<Vec<Provisioned>>> {
    if item.is_number() {
        let count = item.number()?;
        return Ok(Written {
            value: vec![Provisioned { count: count.value, during: None }],
            line: count.line,
        });
    }
    if !item.is_list() {
        return Err(item.wrong(
            "a number or a list",
            "write `provisioned = 3`, or `[{ count = 3, from = \"0 8 * * *\", to = \"0 18 * * *\" }]`",
        ));
    }
    let mut value = Vec::new();
    for (line, items) in item.tables()? {
        let mut entry = Entry::default();
        items.iter().try_for_each(|item| key::read(key::PROVISIONED, &mut entry, item))?;
        value.push(of_entry(entry).map_err(|fault| fault.at(item.place_of(line)))?);
    }
    Ok(Written { value, line: item.line })
}

fn of_entry(entry: Entry) -> Result<Provisioned> {
    let refuse = |what: &str, hint: &str| Err(Fault::new(Code::ManifestValue, what).hint(hint));
    let Some(count) = entry.count else {
        return refuse("an entry of `scale.provisioned` lacks `count`", "add for example `count = 3`");
    };
    let during = match (entry.from, entry.to) {
        (Some(from), Some(to)) => Some(During {
            from: from.value,
            to: to.value,
            zone: entry.zone.map_or_else(|| ZONE_DEFAULT.to_owned(), |zone| zone.value),
        }),
        (None, None) if entry.zone.is_none() => None,
        _ => {
            return refuse(
                "an entry of `scale.provisioned` needs both `from` and `to`, or neither",
                "write for example `from = \"0 8 * * 1-5\", to = \"0 18 * * 1-5\"`",
            );
        }
    };
    Ok(Provisioned { count: count.value, during })
}
