package finding

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"witan.dev/internal/diff"
)

// sarifTool is the driver's name, sarifFingerprint the key of our fingerprints.
const (
	sarifTool        = "witan"
	sarifFingerprint = "witan/v1"
)

var sarifLinks = strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`) //nolint:gochecknoglobals // it never changes

// EncodeSARIF writes the report as SARIF 2.1.0. Published findings are failures; held ones wait for review and rejected
// ones are informational, so that nothing is lost and nothing held breaks a build. SARIF knows no old side: findings on
// the Left name the file and have their lines in the properties. Every changed file is a notification with its coverage.
// There is no primaryLocationLineHash: GitHub's is one of the file's content, which its action upload-sarif computes where
// the workflow has a checkout.
func EncodeSARIF(w io.Writer, r *Report) error {
	run := sarif.NewRun()
	driver := sarif.NewToolComponent()
	driver.Name, driver.InformationURI = new(sarifTool), new("https://witan.dev")
	if r.ToolVersion != "" {
		driver.Version = new(r.ToolVersion)
	}
	run.Tool = sarif.NewTool()
	run.Tool.Driver = driver
	rules := make(map[string]int)
	acted, others := ordered(r)
	for _, f := range slices.Concat(acted, others) {
		result, err := sarifResult(f)
		if err != nil {
			return err
		}
		result.RuleIndex = addRule(driver, rules, f)
		run.Results = append(run.Results, result)
	}
	run.Invocations = append(run.Invocations, sarifInvocation(r))
	run.Properties = sarif.NewPropertyBag().Add("name", r.Name).Add("job", r.Job).Add("subject", r.Subject).Add("base", r.Base).
		Add("head", r.Head).Add("mergeBase", r.MergeBase).Add("complete", r.Coverage.Complete).Add("disposition", r.Disposition)
	report := sarif.NewReport()
	report.AddRun(run)
	return report.PrettyWrite(w)
}

func ruleOf(f *Finding) string {
	if f.Rule != "" {
		return f.Rule
	}
	return strings.ToLower(strings.ReplaceAll(string(f.Category), "_", "-"))
}

func addRule(driver *sarif.ToolComponent, rules map[string]int, f *Finding) int {
	id := ruleOf(f)
	if at, ok := rules[id]; ok {
		sarifSecurity(driver.Rules[at].Properties, f)
		return at
	}
	rule := sarif.NewReportingDescriptor()
	rule.ID = new(id)
	rule.ShortDescription = &sarif.MultiformatMessageString{Text: new("A problem of the category " + strings.ToLower(strings.ReplaceAll(string(f.Category), "_", " ")))}
	help := "Proposed by members of a council or by static reviewers, and voted on. The message of each result gives the reason, " +
		"its properties hold the votes. A council can err: look at the code before you change it."
	rule.Help = &sarif.MultiformatMessageString{Text: new(help)}
	rule.Properties = sarif.NewPropertyBag().Add("category", string(f.Category))
	sarifSecurity(rule.Properties, f)
	driver.Rules = append(driver.Rules, rule)
	rules[id] = len(driver.Rules) - 1
	return rules[id]
}

// sarifSecurity says how severe a rule about security is, in the way GitHub reads it: from 9.0 on critical, 7.0 high, 4.0
// medium. It is that of the rule's worst published finding, and of its first where none is.
func sarifSecurity(rule *sarif.PropertyBag, f *Finding) {
	const key = "security-severity"
	if f.Category != Security {
		return
	}
	score := map[Severity]string{SeverityCritical: "9.5", SeverityHigh: "8.0", SeverityMedium: "5.5"}[f.Severity]
	score = cmp.Or(score, "2.0")
	worst, known := rule.Properties[key].(string)
	if !known || f.Outcome == Published && score > worst {
		rule.Add(key, score).Tags = []string{"security"}
	}
}

func sarifResult(f *Finding) (*sarif.Result, error) {
	result := sarif.NewResult()
	result.RuleID = new(ruleOf(f))
	result.Kind, result.Level = sarifKind(f)
	result.Message = sarif.NewMessage()
	result.Message.Text = new(sarifText(strings.TrimSpace(f.Title + "\n\n" + f.Reason)))
	result.PartialFingerprints = map[string]string{sarifFingerprint: f.Fingerprint}
	result.Locations = append(result.Locations, sarifLocation(f.Location, 0))
	for i, l := range f.Related {
		result.RelatedLocations = append(result.RelatedLocations, sarifLocation(l, i+1))
	}
	if f.Status == Dismissed || f.Status == Fixed {
		suppression := sarif.NewSuppression()
		suppression.Kind, suppression.Status = new("external"), new("accepted")
		if f.StatusReason != "" {
			suppression.Justification = new(Visible(f.StatusReason))
		}
		result.Suppressions = append(result.Suppressions, suppression)
	}
	if fix := sarifFix(f); fix != nil {
		result.Fixes = append(result.Fixes, fix)
	}
	properties, err := sarifProperties(f)
	result.Properties = properties
	return result, err
}

// sarifText is a text for a message: nothing in it is hidden, or an embedded link (2.1.0, section 3.11.6).
func sarifText(text string) string { return sarifLinks.Replace(Visible(text)) }

func sarifKind(f *Finding) (kind, level string) {
	switch f.Outcome {
	case Held:
		return "review", sarif.LevelNone
	case Rejected:
		return "informational", sarif.LevelNone
	case Published, OutcomeUnspecified:
	}
	switch f.Severity {
	case SeverityCritical, SeverityHigh:
		return "fail", sarif.LevelError
	case SeverityMedium:
		return "fail", sarif.LevelWarning
	case SeverityLow, SeverityUnspecified:
	}
	return "fail", sarif.LevelNote
}

func sarifArtifact(path string) *sarif.ArtifactLocation {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = strings.ReplaceAll(url.PathEscape(s), ":", "%3A") // before a slash it would end a scheme
	}
	artifact := sarif.NewArtifactLocation()
	artifact.URI, artifact.URIBaseID = new(strings.Join(segments, "/")), new("%SRCROOT%")
	return artifact
}

func sarifLocation(l Location, id int) *sarif.Location {
	location := sarif.NewLocation()
	if id > 0 {
		location.ID = id
	}
	location.PhysicalLocation = sarif.NewPhysicalLocation()
	location.PhysicalLocation.ArtifactLocation = sarifArtifact(l.Path)
	if l.Side == Right && l.StartLine > 0 {
		location.PhysicalLocation.Region = sarifRegion(l)
	}
	if l.Symbol != "" {
		logical := sarif.NewLogicalLocation()
		logical.FullyQualifiedName = new(Visible(l.Symbol))
		location.LogicalLocations = append(location.LogicalLocations, logical)
	}
	return location
}

func sarifRegion(l Location) *sarif.Region {
	region := sarif.NewSimpleRegion(l.StartLine, max(l.StartLine, l.EndLine))
	if l.Code != "" {
		region.Snippet = sarif.NewArtifactContent()
		region.Snippet.Text = new(strings.ToValidUTF8(l.Code, "\uFFFD"))
	}
	return region
}

// sarifFix is the suggestion, where it replaces lines of the new file.
func sarifFix(f *Finding) *sarif.Fix {
	if f.Suggestion == "" || f.Location.Side != Right || f.Location.StartLine == 0 {
		return nil
	}
	replacement := sarif.NewReplacement()
	replacement.DeletedRegion = sarif.NewSimpleRegion(f.Location.StartLine, f.Location.EndLine)
	replacement.InsertedContent = sarif.NewArtifactContent()
	replacement.InsertedContent.Text = new(strings.ToValidUTF8(f.Suggestion, "\uFFFD"))
	change := sarif.NewArtifactChange()
	change.ArtifactLocation = sarifArtifact(f.Location.Path)
	change.Replacements = append(change.Replacements, replacement)
	fix := sarif.NewFix()
	fix.ArtifactChanges = append(fix.ArtifactChanges, change)
	return fix
}

func sarifInvocation(r *Report) *sarif.Invocation {
	invocation := sarif.NewInvocation()
	invocation.ExecutionSuccessful = new(true)
	for _, f := range r.Coverage.Files {
		note := sarif.NewNotification()
		note.Level = sarif.LevelNone
		switch {
		case f.Incomplete():
			note.Level = sarif.LevelWarning
		case f.Status == Skipped:
			note.Level = sarif.LevelNote
		}
		note.Message = sarif.NewMessage()
		text := fmt.Sprintf("%s %s", f.Status, sarifText(diff.DisplayPath(f.Path)))
		if len(f.Reasons) > 0 {
			text += ": " + ReasonWords(f.Reasons)
		}
		note.Message.Text = new(text)
		note.Locations = append(note.Locations, sarifLocation(Location{Path: f.Path}, 0))
		note.Properties = sarif.NewPropertyBag().Add("status", f.Status.String()).Add("change", f.Change).Add("reasons", f.Reasons)
		invocation.ToolExecutionNotifications = append(invocation.ToolExecutionNotifications, note)
	}
	return invocation
}
