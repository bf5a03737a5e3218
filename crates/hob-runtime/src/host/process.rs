//! Host `process`.
use super::HostRow;

pub(super) const ROW: HostRow =
    HostRow { name: "process", summary: "", example: "", detect: |_| None, open: |_| unimplemented!() };
