//! Host `wasm`.
use super::HostRow;

pub(super) const ROW: HostRow =
    HostRow { name: "wasm", summary: "", example: "", detect: |_| None, open: |_| unimplemented!() };
