// Package githubtest is a simulated GitHub: stateful, strict, and ours. Tests start one by New beside themselves;
// tools/fakegithub runs it as a process of its own, to try Witan by hand. It says what it is wherever a person looks,
// and it talks to nobody.
//
// # Ground
//
// Each repository is a bare git repository on disk, and whatever is said about a change is asked of git: lists of files,
// diffs, merge bases, where a line went. The hunks are read by a parser of this package's own. It shares no code with
// the packages that it is there to test (internal/diff, internal/git), so it cannot be wrong in the same way.
// Server.CheckPositions asks git once more about every comment that was accepted.
//
//	s := githubtest.New(t, githubtest.Options{})
//	r, err := s.AddRepository(ctx, githubtest.RepositorySpec{Owner: "acme", Name: "tools", Files: map[string]string{…}})
//	_, err = r.Commit(ctx, githubtest.Commit{Branch: "change", Files: map[string]string{…}})
//	p, err := r.OpenPullRequest(ctx, githubtest.PullRequestSpec{Title: "Change", Head: "change"})
//	token := s.InstallationToken(nil) // or the way through App and its key
//	… // s.APIURL, s.GraphQLURL, r.FetchURL(token)
//	s.Posted(); s.Rejected(); s.Requests(); s.CheckPositions(ctx)
//
// AddBench opens the pull requests of the shared benchmark, with exactly its diffs. PullRequest has what people do
// (Push, Rebase, SetHead, Close, ConvertToDraft, Comment, Reply, Resolve, …); with SetWebhook each of it is delivered,
// signed, and can be delivered again under the same ID.
//
// # What it enforces
//
//   - Places of comments: RIGHT is an added or context line by its new number, LEFT a deleted or context line by its old
//     one, both inside a hunk; a range is one side of one hunk and starts before it ends; a file must be in the diff; one
//     entry that does not fit refuses the whole review with 422, which does not say which entry it was; at most 50
//     comments a review; bodies of at most 65,536 characters; files as a whole only by the route of single comments.
//   - While somebody has a pending review of a pull request, no other review, comment on files and lines or answer of
//     theirs is taken there.
//   - The commit of a comment is one of the pull request's: what a force push left behind is refused. Later pushes move
//     comments along or make them outdated. Answers go to threads that are there; authors edit what is theirs.
//   - Diffs above 20,000 lines or 300 files are refused with 406, comparisons list 300 files, lists have pages of at most
//     100 with Link headers; GET answers have ETags, and 304 does not count against the limit.
//   - Tokens: the App's RS256 token with its dates; installation tokens with a subset of permissions and repositories
//     that expire; tokens of users, whose role counts. Missing permissions are 403 "Resource not accessible by
//     integration", hidden repositories 404, ended tokens 401. Check runs are for the App only, with at most 50
//     annotations a request. Every body is decoded strictly: unknown members and wrong types are 422. An App is told of
//     the events that it subscribes to and has the permission for.
//   - GraphQL answers what lists, resolves and unresolves review threads, nothing else. Resolving takes contents: write
//     besides pull_requests: write, as installations of real Apps have found; logins of bots lack their "[bot]" there.
//   - Rate limits: the primary one always, the secondary ones of Options.Limits; DocumentedLimits are GitHub's.
//   - Renamed repositories redirect, over REST by their ID; deleted forks leave head.repo null and refs/pull/N/head in
//     place; git transport takes a token as password and serves any commit that is still there.
//
// Stricter than GitHub, so that mistakes show: the permissions of an installation token count for its public
// repositories as well; a range whose two ends are on different sides is always refused; a refused review keeps nothing.
//
// # What goes wrong
//
// Inject scripts faults by method, path, number and time: errors before and after the work is done, cut connections,
// slow answers, limits in each of the forms that GitHub gives them. LagLists, LagHead and StaleFiles make reads lag
// behind writes. LoseHead and Prune take commits away.
//
// # What it does not do
//
// It renders no markdown and checks no suggestion's syntax, sends no mail, merges without looking for conflicts, knows
// no protected branches, teams, milestones, discussions or search, keeps check suites as no more than an ID, and takes
// no pushes over git: branches move by actions only. Text in its refusals is what real ones have been seen to say, or as
// near as is known; clients must not depend on it beyond that. Nothing here was ever compared with GitHub itself: it is
// held to GitHub's published schemas (test/clients/github) and to real webhook payloads (the shared data).
package githubtest
