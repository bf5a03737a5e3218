//! Drafts of WASI that SDKs of Spin import: the release candidates of 0.2 of autumn 2023, and that of 0.3 of March
//! 2026.
//!
//! **Why.** Adapters of preview 1 from that time import the drafts beside the release, and so do components that an SDK
//! made for both. But for a version in their names these interfaces are those of the release.
//!
//! **How.** What implements the release is offered by the draft's name as well, to the components that import it. What
//! a draft has more is there and fails ([`super::absent`]).
//!
//! **Not here:** the draft that has other types ([`super::early`]).

use super::super::store::State;
use super::{absent, early};
use wasmtime::Engine;
use wasmtime::component::types::ComponentInstance;
use wasmtime::component::{HasData, Linker, LinkerInstance, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView as _};
use wasmtime_wasi::{WasiView as _, p2, p3};
use wasmtime_wasi_http::{WasiHttp, WasiHttpView as _};

/// Drafts of 0.2 that are offered.
const DRAFTS_02: [&str; 2] = ["0.2.0-rc-2023-11-10", "0.2.0-rc-2023-12-05"];
/// The draft of 0.3 that is offered.
const DRAFT_03: &str = "0.3.0-rc-2026-03-15";
/// The export by which a component for it takes requests.
const HANDLER_03: &str = "wasi:http/handler@0.3.0-rc-2026-03-15";
/// The same with the draft's name behind `+`, where it makes no other version (Semantic Versioning 2.0, section 10).
const HANDLER_03_RENAMED: &str = "wasi:http/handler@0.3.0+rc-2026-03-15";
/// What the names of functions hold that the drafts of 0.2 have more.
const DROPPED: &str = "ipv6-only";

/// The interface, if the import is one of a draft that is offered.
fn known(import: &str) -> Option<(&str, &str)> {
    let (interface, version) = import.split_once('@')?;
    let offered = DRAFTS_02.contains(&version) || version == DRAFT_03 || version == early::VERSION;
    (offered && interface.starts_with("wasi:")).then_some((interface, version))
}

/// Whether an import is one of a draft that is offered.
pub(super) fn is_import(import: &str) -> bool {
    known(import).is_some()
}

/// Whether an export is the handler of the draft of 0.3, renamed or not.
pub(in super::super) fn is_handler_03(export: &str) -> bool {
    [HANDLER_03, HANDLER_03_RENAMED].contains(&export)
}

/// A component whose handler is found as the release's: an export is looked up by its version, so the draft's name is
/// written behind it, in as many bytes.
pub(in super::super) fn rename_handler(component: &mut [u8]) {
    let (from, to) = (HANDLER_03.as_bytes(), HANDLER_03_RENAMED.as_bytes());
    let mut at = 0;
    while let Some(name) = component.get_mut(at..at + from.len()) {
        if name == from {
            name.copy_from_slice(to);
        }
        at += 1;
    }
}

/// Offers an import, if it is one of a draft.
pub(super) fn add(
    linker: &mut Linker<State>,
    engine: &Engine,
    import: &str,
    interface: &ComponentInstance,
) -> wasmtime::Result<()> {
    let Some((name, version)) = known(import) else { return Ok(()) };
    if version == early::VERSION {
        return early::add(name, &mut linker.allow_shadowing(true).instance(import)?, engine, interface);
    }
    let mut instance = linker.instance(import)?;
    if version == DRAFT_03 {
        return add_03(name, &mut instance);
    }
    add_02(name, &mut instance)?;
    absent::add_some(&mut instance, engine, interface, "this function of a draft", |name| {
        name.contains(DROPPED)
    })
}

/// `wasi:io` lives in the table of resources.
struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

pub(super) fn table(state: &mut State) -> &mut ResourceTable {
    state.ctx().table
}

/// Offers an interface of the release 0.2.
pub(super) fn add_02(name: &str, to: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    use p2::bindings::{clocks, filesystem, io, random, sockets};
    use wasmtime_wasi_http::p2::bindings::http;
    match name {
        "wasi:io/error" => io::error::add_to_linker_instance::<State, Io>(to, table),
        "wasi:io/poll" => io::poll::add_to_linker_instance::<State, Io>(to, table),
        "wasi:io/streams" => io::streams::add_to_linker_instance::<State, Io>(to, table),
        _ if name.starts_with("wasi:cli/") => cli_02(name, to),
        "wasi:clocks/wall-clock" => {
            clocks::wall_clock::add_to_linker_instance::<State, WasiClocks>(to, State::clocks)
        }
        "wasi:clocks/monotonic-clock" => {
            clocks::monotonic_clock::add_to_linker_instance::<State, WasiClocks>(to, State::clocks)
        }
        "wasi:filesystem/types" => {
            filesystem::types::add_to_linker_instance::<State, WasiFilesystem>(to, State::filesystem)
        }
        "wasi:filesystem/preopens" => {
            filesystem::preopens::add_to_linker_instance::<State, WasiFilesystem>(to, State::filesystem)
        }
        "wasi:random/random" => {
            random::random::add_to_linker_instance::<State, WasiRandom>(to, State::random)
        }
        "wasi:random/insecure" => {
            random::insecure::add_to_linker_instance::<State, WasiRandom>(to, State::random)
        }
        "wasi:random/insecure-seed" => {
            random::insecure_seed::add_to_linker_instance::<State, WasiRandom>(to, State::random)
        }
        "wasi:sockets/network" => {
            let options = sockets::network::LinkOptions::default();
            sockets::network::add_to_linker_instance::<State, WasiSockets>(to, &options, State::sockets)
        }
        "wasi:sockets/instance-network" => {
            sockets::instance_network::add_to_linker_instance::<State, WasiSockets>(to, State::sockets)
        }
        "wasi:sockets/ip-name-lookup" => {
            sockets::ip_name_lookup::add_to_linker_instance::<State, WasiSockets>(to, State::sockets)
        }
        "wasi:sockets/tcp" => sockets::tcp::add_to_linker_instance::<State, WasiSockets>(to, State::sockets),
        "wasi:sockets/tcp-create-socket" => {
            sockets::tcp_create_socket::add_to_linker_instance::<State, WasiSockets>(to, State::sockets)
        }
        "wasi:sockets/udp" => sockets::udp::add_to_linker_instance::<State, WasiSockets>(to, State::sockets),
        "wasi:sockets/udp-create-socket" => {
            sockets::udp_create_socket::add_to_linker_instance::<State, WasiSockets>(to, State::sockets)
        }
        "wasi:http/types" => {
            let options = http::types::LinkOptions::default();
            http::types::add_to_linker_instance::<State, WasiHttp>(to, &options, State::http)
        }
        "wasi:http/outgoing-handler" => {
            http::outgoing_handler::add_to_linker_instance::<State, WasiHttp>(to, State::http)
        }
        _ => Ok(()),
    }
}

fn cli_02(name: &str, to: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    use p2::bindings::cli;
    match name {
        "wasi:cli/environment" => cli::environment::add_to_linker_instance::<State, WasiCli>(to, State::cli),
        "wasi:cli/exit" => cli::exit::add_to_linker_instance::<State, WasiCli>(to, State::cli),
        "wasi:cli/stdin" => cli::stdin::add_to_linker_instance::<State, WasiCli>(to, State::cli),
        "wasi:cli/stdout" => cli::stdout::add_to_linker_instance::<State, WasiCli>(to, State::cli),
        "wasi:cli/stderr" => cli::stderr::add_to_linker_instance::<State, WasiCli>(to, State::cli),
        "wasi:cli/terminal-input" => {
            cli::terminal_input::add_to_linker_instance::<State, WasiCli>(to, State::cli)
        }
        "wasi:cli/terminal-output" => {
            cli::terminal_output::add_to_linker_instance::<State, WasiCli>(to, State::cli)
        }
        "wasi:cli/terminal-stdin" => {
            cli::terminal_stdin::add_to_linker_instance::<State, WasiCli>(to, State::cli)
        }
        "wasi:cli/terminal-stdout" => {
            cli::terminal_stdout::add_to_linker_instance::<State, WasiCli>(to, State::cli)
        }
        "wasi:cli/terminal-stderr" => {
            cli::terminal_stderr::add_to_linker_instance::<State, WasiCli>(to, State::cli)
        }
        _ => Ok(()),
    }
}

fn add_03(name: &str, to: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    use p3::bindings::{cli, clocks, filesystem, random, sockets};
    use wasmtime_wasi_http::p3::bindings::http;
    match name {
        "wasi:cli/environment" => cli::environment::add_to_linker_instance::<State, WasiCli>(to, State::cli),
        "wasi:cli/exit" => cli::exit::add_to_linker_instance::<State, WasiCli>(to, State::cli),
        "wasi:cli/stdin" => cli::stdin::add_to_linker_instance::<State, WasiCli>(to, State::cli),
        "wasi:cli/stdout" => cli::stdout::add_to_linker_instance::<State, WasiCli>(to, State::cli),
        "wasi:cli/stderr" => cli::stderr::add_to_linker_instance::<State, WasiCli>(to, State::cli),
        "wasi:cli/terminal-input" => {
            cli::terminal_input::add_to_linker_instance::<State, WasiCli>(to, State::cli)
        }
        "wasi:cli/terminal-output" => {
            cli::terminal_output::add_to_linker_instance::<State, WasiCli>(to, State::cli)
        }
        "wasi:cli/terminal-stdin" => {
            cli::terminal_stdin::add_to_linker_instance::<State, WasiCli>(to, State::cli)
        }
        "wasi:cli/terminal-stdout" => {
            cli::terminal_stdout::add_to_linker_instance::<State, WasiCli>(to, State::cli)
        }
        "wasi:cli/terminal-stderr" => {
            cli::terminal_stderr::add_to_linker_instance::<State, WasiCli>(to, State::cli)
        }
        "wasi:clocks/monotonic-clock" => {
            clocks::monotonic_clock::add_to_linker_instance::<State, WasiClocks>(to, State::clocks)
        }
        "wasi:clocks/system-clock" => {
            clocks::system_clock::add_to_linker_instance::<State, WasiClocks>(to, State::clocks)
        }
        "wasi:filesystem/types" => {
            filesystem::types::add_to_linker_instance::<State, WasiFilesystem>(to, State::filesystem)
        }
        "wasi:filesystem/preopens" => {
            filesystem::preopens::add_to_linker_instance::<State, WasiFilesystem>(to, State::filesystem)
        }
        "wasi:random/random" => {
            random::random::add_to_linker_instance::<State, WasiRandom>(to, State::random)
        }
        "wasi:random/insecure" => {
            random::insecure::add_to_linker_instance::<State, WasiRandom>(to, State::random)
        }
        "wasi:random/insecure-seed" => {
            random::insecure_seed::add_to_linker_instance::<State, WasiRandom>(to, State::random)
        }
        "wasi:sockets/types" => {
            sockets::types::add_to_linker_instance::<State, WasiSockets>(to, State::sockets)
        }
        "wasi:sockets/ip-name-lookup" => {
            sockets::ip_name_lookup::add_to_linker_instance::<State, WasiSockets>(to, State::sockets)
        }
        "wasi:http/types" => http::types::add_to_linker_instance::<State, WasiHttp>(to, State::http),
        "wasi:http/client" => http::client::add_to_linker_instance::<State, WasiHttp>(to, State::http),
        _ => Ok(()),
    }
}
