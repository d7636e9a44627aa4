package main

import (
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

// detail renders one detail of a status.
func detail(d any) []string {
	switch d := d.(type) {
	case *errdetails.ErrorInfo:
		var line strings.Builder
		line.WriteString("reason: " + d.GetReason())
		for _, key := range slices.Sorted(maps.Keys(d.GetMetadata())) {
			fmt.Fprintf(&line, ", %s: %s", key, d.GetMetadata()[key])
		}
		return []string{line.String()}
	case *errdetails.BadRequest:
		var lines []string
		for _, v := range d.GetFieldViolations() {
			lines = append(lines, v.GetField()+": "+v.GetDescription())
		}
		return lines
	}
	return nil
}

// version is what the build knows of itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown version)"
	}
	return info.Main.Version
}
