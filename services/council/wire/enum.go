// Package wire translates between the council's types and the public messages, both ways. What a message holds that the
// domain does not know cannot get through; conversions there and back are equal.
package wire

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/internal/finding"
)

// enum is a generated enumeration. Its values bear the domain's names.
type enum interface {
	~int32
	String() string
}

// toEnum is the value of a name, and the unspecified one for unknown names.
func toEnum[E ~int32, S ~string](values map[string]int32, name S) E { return E(values[string(name)]) }

// fromEnum is the name of a value, empty for the unspecified one.
func fromEnum[S ~string, E enum](e E) S {
	if e == 0 {
		return ""
	}
	return S(e.String())
}

// Severity translates a severity.
func Severity(s finding.Severity) typev1.Severity {
	return typev1.Severity(min(max(s, finding.SeverityUnspecified), finding.SeverityCritical))
}

func severityOf(s typev1.Severity) finding.Severity {
	return min(max(finding.Severity(s), finding.SeverityUnspecified), finding.SeverityCritical)
}

func side(s finding.Side) typev1.Side {
	return typev1.Side(min(max(s, finding.SideUnspecified), finding.Right))
}

func sideOf(s typev1.Side) finding.Side {
	return min(max(finding.Side(s), finding.SideUnspecified), finding.Right)
}

// Time translates a time; the zero time is unset.
func Time(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// Duration translates a duration; zero is unset.
func Duration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

// int32Of bounds what a message can hold.
func int32Of[N ~int | ~int32 | ~int64](n N) int32 {
	const limit = 1<<31 - 1
	return int32(min(max(int64(n), -limit), limit))
}
