// Summary: says in one sentence what an event of GitHub tells. A JavaScript module, as Workers have it.
//
// It answers an event with an event, `desk.summarised`, which the platform publishes. The id is the
// one of the event that it is about, so trying again makes no second one.
//
// How. `SENTENCES` has a line for each kind of event; what a payload lacks is left out of its
// sentence. A kind without a line gets the general sentence, so a kind that GitHub adds tomorrow
// is no failure.

const LENGTH_MAX = 200;

// What happened, without who and where: those are the same for every kind.
const SENTENCES = {
  branch_protection_rule: (p) => say`${p.action} the protection rule ${quoted(p.rule?.name)}`,
  check_run: (p) => say`${p.action} the check ${quoted(p.check_run?.name)}${outcome(p.check_run)}`,
  check_suite: (p) => say`${p.action} the checks of ${commit(p.check_suite?.head_sha)}${outcome(p.check_suite)}`,
  code_scanning_alert: (p) => say`${p.action} the code alert ${quoted(p.alert?.rule?.description)}`,
  commit_comment: (p) => say`commented on ${commit(p.comment?.commit_id)}: ${quoted(p.comment?.body)}`,
  create: (p) => say`created the ${p.ref_type} ${quoted(p.ref)}`,
  delete: (p) => say`deleted the ${p.ref_type} ${quoted(p.ref)}`,
  dependabot_alert: (p) => say`${p.action} the dependency alert ${quoted(p.alert?.security_advisory?.summary)}`,
  deploy_key: (p) => say`${p.action} the deploy key ${quoted(p.key?.title)}`,
  deployment: (p) => say`deploys ${commit(p.deployment?.sha)} to ${quoted(p.deployment?.environment)}`,
  deployment_review: (p) => say`${p.action} the deployment to ${quoted(p.environment)}`,
  deployment_status: (p) => say`reports ${quoted(p.deployment_status?.state)} of the deployment to ${quoted(p.deployment?.environment)}`,
  discussion: (p) => say`${p.action} the discussion ${numbered(p.discussion)}`,
  discussion_comment: (p) => say`${p.action} a comment on the discussion ${numbered(p.discussion)}`,
  fork: (p) => say`forked it to ${quoted(p.forkee?.full_name)}`,
  github_app_authorization: () => "revoked the authorization of the app",
  gollum: (p) => say`changed ${counted(p.pages, "wiki page")}`,
  installation: (p) => say`${p.action} the app for ${counted(p.repositories, "repository", "repositories")}`,
  installation_repositories: (p) =>
    say`gave the app ${counted(p.repositories_added, "repository", "repositories")} and took ${counted(p.repositories_removed, "repository", "repositories")}`,
  issue_comment: (p) => say`${p.action} a comment on ${numbered(p.issue)}: ${quoted(p.comment?.body)}`,
  issues: (p) => say`${p.action} the issue ${numbered(p.issue)}`,
  label: (p) => say`${p.action} the label ${quoted(p.label?.name)}`,
  marketplace_purchase: (p) => say`${p.action} the plan ${quoted(p.marketplace_purchase?.plan?.name)}`,
  member: (p) => say`${p.action} the collaborator ${quoted(p.member?.login)}`,
  membership: (p) => say`${p.action} ${quoted(p.member?.login)} in the team ${quoted(p.team?.name)}`,
  merge_group: (p) => say`${p.action} for the merge group ${quoted(p.merge_group?.head_ref)}`,
  meta: () => "deleted this webhook",
  milestone: (p) => say`${p.action} the milestone ${quoted(p.milestone?.title)}`,
  org_block: (p) => say`${p.action} the user ${quoted(p.blocked_user?.login)}`,
  organization: (p) => say`${p.action} ${quoted(p.membership?.user?.login)} in the organization`,
  package: (p) => say`${p.action} the package ${quoted(p.package?.name)}`,
  page_build: (p) => say`built the pages: ${quoted(p.build?.status)}`,
  ping: (p) => say`set up this webhook: ${quoted(p.zen)}`,
  project: (p) => say`${p.action} the project ${quoted(p.project?.name)}`,
  project_card: (p) => say`${p.action} a project card ${quoted(p.project_card?.note)}`,
  project_column: (p) => say`${p.action} the project column ${quoted(p.project_column?.name)}`,
  projects_v2_item: (p) => say`${p.action} a project item of type ${quoted(p.projects_v2_item?.content_type)}`,
  public: () => "made the repository public",
  pull_request: (p) => say`${p.action} the pull request ${numbered(p.pull_request)}`,
  pull_request_review: (p) => say`${p.action} a review of ${numbered(p.pull_request)}: ${quoted(p.review?.state)}`,
  pull_request_review_comment: (p) => say`${p.action} a review comment on ${numbered(p.pull_request)}`,
  pull_request_review_thread: (p) => say`${p.action} a review thread of ${numbered(p.pull_request)}`,
  push: (p) => say`pushed ${counted(p.commits, "commit")} to ${quoted(branch(p.ref))}: ${quoted(p.head_commit?.message)}`,
  release: (p) => say`${p.action} the release ${quoted(p.release?.name ?? p.release?.tag_name)}`,
  repository: (p) => say`${p.action} the repository`,
  repository_dispatch: (p) => say`asked for ${quoted(p.action)} on ${quoted(p.branch)}`,
  repository_import: (p) => say`imported the repository: ${quoted(p.status)}`,
  repository_vulnerability_alert: (p) => say`${p.action} the alert for ${quoted(p.alert?.affected_package_name)}`,
  security_advisory: (p) => say`${p.action} the advisory ${quoted(p.security_advisory?.summary)}`,
  sponsorship: (p) => say`${p.action} the sponsorship of ${quoted(p.sponsorship?.sponsorable?.login)}`,
  star: (p) => (p.action === "deleted" ? "took back a star" : "gave a star"),
  status: (p) => say`reports ${quoted(p.state)} for ${commit(p.sha)}: ${quoted(p.description)}`,
  team: (p) => say`${p.action} the team ${quoted(p.team?.name)}`,
  team_add: (p) => say`gave the team ${quoted(p.team?.name)} access`,
  watch: () => "watches the repository",
  workflow_dispatch: (p) => say`started the workflow ${quoted(p.workflow)}`,
  workflow_job: (p) => say`${p.action} the job ${quoted(p.workflow_job?.name)}${outcome(p.workflow_job)}`,
  workflow_run: (p) => say`${p.action} the workflow ${quoted(p.workflow_run?.name)}${outcome(p.workflow_run)}`,
};

const general = (event) => (p) => say`${p.action} ${event.replaceAll("_", " ")}`;

function summarize(event, payload) {
  const tell = Object.hasOwn(SENTENCES, event) ? SENTENCES[event] : general(event);
  const action = String(payload.action ?? "sent").replaceAll("_", " ");
  const who = payload.sender?.login ?? "Somebody";
  const where = payload.repository?.full_name ?? payload.organization?.login;
  const told = [who, tell({ ...payload, action }), where ? `in ${where}` : ""].join(" ");
  const spaced = told.replace(/\s+/g, " ").trim();
  const sentence = spaced.replace(/ +([:,])/g, "$1").replace(/:(?= in |$)/, "");
  const letters = [...sentence];
  return letters.length > LENGTH_MAX ? `${letters.slice(0, LENGTH_MAX - 1).join("")}…` : sentence;
}

// A template whose missing values are left out.
function say(texts, ...values) {
  return texts.map((text, at) => text + (values[at] ?? "")).join("");
}

// What there is not is left out, what is long is cut to its first line.
function quoted(text) {
  const line = String(text ?? "").trim().split("\n", 1)[0].trim();
  const letters = [...line];
  return line && `“${letters.length > 60 ? `${letters.slice(0, 59).join("")}…` : line}”`;
}

const numbered = (thing) => [thing?.number && `#${thing.number}`, quoted(thing?.title)].filter(Boolean).join(" ");
const counted = (list, one, many = `${one}s`) => `${list?.length ?? 0} ${list?.length === 1 ? one : many}`;
const commit = (sha) => (sha ? `commit ${String(sha).slice(0, 7)}` : "a commit");
const branch = (ref) => String(ref ?? "").replace(/^refs\/(heads|tags)\//, "");
const outcome = (thing) => (thing?.conclusion ? ` with ${thing.conclusion}` : "");

export default {
  async fetch(request) {
    const header = (name) => request.headers.get(name) ?? "";
    let payload;
    try {
      payload = await request.json();
    } catch (error) {
      return Response.json({ error: error.message }, { status: 400 });
    }
    const summarised = {
      "ce-specversion": "1.0",
      "ce-id": header("ce-id"),
      "ce-source": "/desk/summary",
      "ce-type": "desk.summarised",
      "ce-partitionkey": header("ce-source"),
    };
    // `com.github.issues.opened`: the third word is the kind.
    const event = header("ce-type").split(".")[2] ?? "";
    return Response.json({ summary: summarize(event, payload ?? {}) }, { headers: summarised });
  },
};
