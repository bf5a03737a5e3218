//! What functions may reach, as tables.

use super::{Doors, Policy, Reach, Refusal};
use std::net::{IpAddr, SocketAddr};

/// Each line: a host as a guest writes it, where its name leads (`-`: it is refused before), and
/// whether that is reached.
fn check(listed: Option<&[&str]>, table: &str) {
    check_of(listed, false, table);
}

fn check_of(listed: Option<&[&str]>, stranger: bool, table: &str) {
    let listed: Option<Vec<String>> = listed.map(|l| l.iter().map(|entry| (*entry).to_owned()).collect());
    let policy = Policy::new(listed.as_deref()).of_stranger(stranger);
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let [host, leads_to, expected] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("not a line of the table: {line}")
        };
        let verdict = match (policy.admits(host, 80), leads_to.parse::<IpAddr>()) {
            (Err(_), _) => "refused",
            (Ok(reach), Ok(address)) if reach.allows(address) => "reached",
            (Ok(Reach::Only(own)), Err(_)) if Reach::Only(own).allows(own) => "reached",
            (Ok(_), _) => "denied",
        };
        assert_eq!(verdict, expected, "{line}");
    }
}

#[test]
fn without_a_list_only_public_addresses_are_reached() {
    check(
        None,
        "
        example.com            93.184.216.34            reached
        EXAMPLE.com.           2606:2800:220:1::1       reached
        93.184.216.34          -                        reached
        [2606:4700::1111]      -                        reached
        2606:4700::1111        -                        reached
        127.0.0.1              -                        refused
        127.8.9.10             -                        refused
        0.0.0.0                -                        refused
        0.1.2.3                -                        refused
        10.1.2.3               -                        refused
        172.16.0.1             -                        refused
        172.31.255.255         -                        refused
        172.32.0.1             -                        reached
        192.168.1.1            -                        refused
        100.64.0.1             -                        refused
        100.127.255.255        -                        refused
        100.128.0.1            -                        reached
        169.254.169.254        -                        refused
        192.0.0.192            -                        refused
        192.0.2.1              -                        refused
        198.18.0.1             -                        refused
        224.0.0.1              -                        refused
        240.0.0.1              -                        refused
        255.255.255.255        -                        refused
        [::1]                  -                        refused
        ::1                    -                        refused
        [::]                   -                        refused
        [fe80::1]              -                        refused
        [fd00:ec2::254]        -                        refused
        [fc00::1]              -                        refused
        [ff02::1]              -                        refused
        [::ffff:127.0.0.1]     -                        refused
        [::ffff:10.0.0.1]      -                        refused
        [::ffff:8.8.8.8]       -                        reached
        [::127.0.0.1]          -                        refused
        [64:ff9b::a00:1]       -                        refused
        [64:ff9b:1::1]         -                        refused
        [2002:7f00:1::]        -                        refused
        [2001::1]              -                        refused
        [2001:db8::1]          -                        refused
        168.63.129.16          -                        refused
        100.100.100.200        -                        refused
        [fd20:ce::254]         -                        refused
        [fd00:c1::a9fe:a9fe]   -                        refused
        [fd00:42::42]          -                        refused
        [2606:4700::5efe:a00:1] -                       refused
        [2606:4700::200:5efe:7f00:1] -                  refused
        [::ffff:0:127.0.0.1]   -                        refused
        [fe80::1%eth0]         -                        refused
        [5f00::1]              -                        refused
        ",
    );
}

#[test]
fn an_address_in_other_words_is_no_name_and_a_name_is_what_it_leads_to() {
    check(
        None,
        "
        [::1                   -                        refused
        2130706433             -                        refused
        0x7f000001             -                        refused
        0x7f.1                 -                        refused
        127.1                  -                        refused
        0177.0.0.1             -                        refused
        127.0.0.1.             -                        refused
        １２７.0.0.1            -                        refused
        user@example.com       -                        refused
        a..b                   -                        refused
        localhost              127.0.0.1                denied
        rebind.example.com     127.0.0.1                denied
        rebind.example.com     ::ffff:169.254.169.254   denied
        metadata.internal.com  169.254.169.254          denied
        intranet.example.com   10.0.0.8                 denied
        v6.example.com         fd00::8                  denied
        ",
    );
}

#[test]
fn a_list_allows_what_it_names_and_nothing_else() {
    let listed = ["db.corp.example:80", "*.api.example:80", "10.0.0.7:80", "[::1]:80", "other.example:443"];
    check(
        Some(&listed),
        "
        db.corp.example        10.0.0.8                 reached
        DB.corp.example        93.184.216.34            reached
        db.corp.example        127.0.0.1                denied
        db.corp.example        169.254.169.254          denied
        db.corp.example        fd00:ec2::254            denied
        db.corp.example        fd20:ce::254             denied
        db.corp.example        fd00:c1::a9fe:a9fe       denied
        db.corp.example        fd00:42::42              denied
        db.corp.example        100.100.100.200          denied
        db.corp.example        168.63.129.16            denied
        db.corp.example        fd00::7                  reached
        xdb.corp.example       10.0.0.8                 refused
        a.api.example          93.184.216.34            reached
        a.b.api.example        93.184.216.34            reached
        a.api.example          10.0.0.8                 denied
        api.example            93.184.216.34            refused
        xapi.example           93.184.216.34            refused
        10.0.0.7               -                        reached
        [::ffff:10.0.0.7]      -                        reached
        10.0.0.8               -                        refused
        [::1]                  -                        reached
        127.0.0.1              -                        refused
        other.example          93.184.216.34            refused
        example.com            93.184.216.34            refused
        ",
    );
    check(Some(&["localhost:80"]), "localhost 127.0.0.1 reached\nlocalhost 10.0.0.1 denied");
    check(Some(&[]), "example.com 93.184.216.34 refused");
}

#[test]
fn what_a_stranger_lists_leads_to_public_addresses_only() {
    let listed =
        ["db.corp.example:80", "*.api.example:80", "10.0.0.7:80", "[::1]:80", "localhost:80", "8.8.8.8:80"];
    check_of(
        Some(&listed),
        true,
        "
        db.corp.example        93.184.216.34            reached
        db.corp.example        10.0.0.8                 denied
        db.corp.example        fd00::7                  denied
        a.api.example          93.184.216.34            reached
        8.8.8.8                -                        reached
        10.0.0.7               -                        refused
        [::1]                  -                        refused
        localhost              127.0.0.1                refused
        example.com            93.184.216.34            refused
        ",
    );
    check_of(None, true, "example.com 93.184.216.34 reached\n127.0.0.1 - refused");
}

#[test]
fn a_refusal_says_why() {
    assert_eq!(Policy::new(None).admits("0x7f.1", 80), Err(Refusal::Malformed));
    assert_eq!(Policy::new(Some(&[])).admits("example.com", 80), Err(Refusal::Unlisted));
}

#[test]
fn the_nodes_own_doors_are_known_in_every_form() {
    let doors = |text: &str| {
        Doors::new(text.split(' ').map(|door| door.parse::<SocketAddr>().unwrap()).collect::<Vec<_>>())
    };
    // A machine with one address besides loopback.
    let is_here = |ip: IpAddr| ip == "203.0.113.5".parse::<IpAddr>().unwrap();
    for (listening, to, expected) in [
        ("127.0.0.1:80", "127.0.0.1:80", true),
        ("127.0.0.1:80", "127.0.0.1:81", false),
        ("127.0.0.1:80", "127.0.0.2:80", false),
        ("127.0.0.1:80", "0.0.0.0:80", true),
        ("127.0.0.1:80", "[::ffff:127.0.0.1]:80", true),
        ("127.0.0.1:80", "203.0.113.5:80", false),
        ("0.0.0.0:80", "203.0.113.5:80", true),
        ("0.0.0.0:80", "127.9.9.9:80", true),
        ("0.0.0.0:80", "203.0.113.6:80", false),
        ("[::]:443 127.0.0.1:81", "203.0.113.5:443", true),
        ("[::]:443 127.0.0.1:81", "[::1]:443", true),
        ("[::]:443 127.0.0.1:81", "127.0.0.1:81", true),
        ("[::1]:80", "127.0.0.1:80", false),
        ("[::1]:80", "[::]:80", true),
    ] {
        assert_eq!(doors(listening).lead_to(to.parse().unwrap(), is_here), expected, "{listening} {to}");
    }
}
