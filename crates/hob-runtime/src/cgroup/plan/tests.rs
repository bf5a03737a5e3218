//! Machines as texts, and what could be used on each.

use super::{Controller, Hierarchy, Plan, Version};

/// A plan in one line: `v2 /folder memory,cpu; v1 /folder pids`, and why not after `!`.
fn shown(plan: &Plan) -> String {
    let one = |hierarchy: &Hierarchy| {
        let version = if hierarchy.version == Version::V2 { "v2" } else { "v1" };
        let names: Vec<String> =
            hierarchy.controllers.iter().map(|one: &Controller| format!("{one:?}").to_lowercase()).collect();
        format!("{version} {} {}", hierarchy.folder.display(), names.join(",")).trim_end().to_owned()
    };
    let all: Vec<String> =
        plan.hierarchies.iter().map(one).chain(plan.lacking.iter().map(|why| format!("! {why}"))).collect();
    all.join("; ")
}

/// What, `/proc/self/cgroup`, `/proc/self/mountinfo`, `cgroup.controllers`, and the plan.
type Machine = (&'static str, &'static str, &'static str, &'static str, &'static str);

const V2: &str = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
const V2_READ_ONLY: &str = "29 23 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n";
const V1: &str = "\
30 25 0:27 / /sys/fs/cgroup/systemd rw,nosuid shared:6 - cgroup cgroup rw,xattr,name=systemd\n\
34 25 0:31 / /sys/fs/cgroup/memory rw,nosuid shared:11 - cgroup cgroup rw,memory\n\
35 25 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:12 - cgroup cgroup rw,cpu,cpuacct\n\
36 25 0:33 / /sys/fs/cgroup/pids rw,nosuid shared:13 - cgroup cgroup rw,pids\n\
37 25 0:34 / /sys/fs/cgroup/blkio rw,nosuid shared:14 - cgroup cgroup rw,blkio\n\
38 25 0:35 / /sys/fs/cgroup/cpuset rw,nosuid shared:15 - cgroup cgroup rw,cpuset\n";
const HYBRID: &str = "\
34 25 0:31 / /sys/fs/cgroup/memory rw,nosuid shared:11 - cgroup cgroup rw,memory\n\
35 25 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:12 - cgroup cgroup rw,cpu,cpuacct\n\
36 25 0:33 / /sys/fs/cgroup/pids rw,nosuid shared:13 - cgroup cgroup rw,pids\n\
39 25 0:36 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n";
const IN_CONTAINER: &str = "\
34 25 0:31 /docker/4f /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory\n\
36 25 0:33 /docker/4f /sys/fs/cgroup/pids rw,nosuid - cgroup cgroup rw,pids\n";
const V1_GROUPS: &str = "7:cpuset:/\n6:blkio:/user.slice\n5:pids:/user.slice/a b\n4:cpu,cpuacct:/user.slice\n3:memory:/user.slice\n1:name=systemd:/user.slice\n";
const BOTH_GROUPS: &str =
    "5:pids:/user.slice\n4:cpu,cpuacct:/user.slice\n3:memory:/user.slice\n0::/user.slice\n";
const SERVICE: &str = "0::/system.slice/hob.service\n";
const ALL: &str = "cpuset cpu io memory hugetlb pids\n";

const MACHINES: &[Machine] = &[
    (
        "a service of systemd with `Delegate=yes`",
        SERVICE,
        V2,
        ALL,
        "v2 /sys/fs/cgroup/system.slice/hob.service memory,pids,cpu,io",
    ),
    (
        "the same, after another node of the process has moved to its leaf",
        "0::/system.slice/hob.service/hob.node\n",
        V2,
        ALL,
        "v2 /sys/fs/cgroup/system.slice/hob.service memory,pids,cpu,io",
    ),
    (
        "a user's scope, to which not everything is delegated",
        "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run.scope\n",
        V2,
        "memory pids\n",
        "v2 /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run.scope memory,pids",
    ),
    (
        "a container with a group namespace",
        "0::/\n",
        V2_READ_ONLY,
        ALL,
        "! cgroup v2 is mounted read-only at `/sys/fs/cgroup`",
    ),
    ("the same with privileges", "0::/\n", V2, ALL, "v2 /sys/fs/cgroup memory,pids,cpu,io"),
    (
        "a group outside of the namespace",
        "0::/../../system.slice\n",
        V2,
        ALL,
        "! cgroup v2 is mounted without this process's group `/../../system.slice`",
    ),
    (
        "version 1",
        V1_GROUPS,
        V1,
        "",
        "v1 /sys/fs/cgroup/blkio/user.slice io; v1 /sys/fs/cgroup/pids/user.slice/a b pids; \
             v1 /sys/fs/cgroup/cpu,cpuacct/user.slice cpu,cputime; v1 /sys/fs/cgroup/memory/user.slice memory",
    ),
    (
        "both, and version 2 has nothing that is wanted",
        BOTH_GROUPS,
        HYBRID,
        "hugetlb\n",
        "v2 /sys/fs/cgroup/unified/user.slice; v1 /sys/fs/cgroup/pids/user.slice pids; \
             v1 /sys/fs/cgroup/cpu,cpuacct/user.slice cpu; v1 /sys/fs/cgroup/memory/user.slice memory",
    ),
    (
        "a container of version 1, whose groups are seen from its own on",
        "5:pids:/docker/4f\n3:memory:/docker/4f\n",
        IN_CONTAINER,
        "",
        "v1 /sys/fs/cgroup/pids pids; ! cgroup v1 `memory` is mounted read-only at `/sys/fs/cgroup/memory`",
    ),
    (
        "a place with a blank",
        "0::/\n",
        "29 23 0:26 / /mnt/my\\040groups rw - cgroup2 none rw\n",
        "memory\n",
        "v2 /mnt/my groups memory",
    ),
    ("no mount", SERVICE, "22 1 8:1 / / rw - ext4 /dev/vda rw\n", ALL, "! cgroup v2 is not mounted"),
    ("a kernel without control groups", "", V2, ALL, ""),
];

#[test]
fn every_kind_of_machine_has_its_plan() {
    for (what, groups, mounts, controllers, expected) in MACHINES {
        let plan = Plan::new(groups, mounts, |_| (*controllers).to_owned());
        assert_eq!(shown(&plan), *expected, "{what}");
    }
}
