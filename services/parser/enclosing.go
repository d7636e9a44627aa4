package parser

// Enclosing answers which definitions a range of lines belongs to.
type Enclosing struct {
	Lines LineRange
	// Definitions: the innermost one that contains all lines; else each that holds some of them, in order; lines outside
	// of all definitions, or a whole file without any, stand under NoDefinition.
	Definitions []EnclosingDefinition
}

// EnclosingDefinition is one definition with its share of the asked lines, above 0 and at most 1.
type EnclosingDefinition struct {
	Definition int
	Share      float64
}

// enclose answers line ranges of one file. Lines that the file does not have belong to no definition.
func enclose(lines *Lines, defs []Definition, asked []LineRange) []Enclosing {
	if len(asked) == 0 {
		return nil
	}
	innermost := innermostByLine(lines.Count(), defs)
	answers := make([]Enclosing, len(asked))
	for i, r := range asked[:min(len(asked), MaxEnclosing)] {
		answers[i] = Enclosing{Lines: r, Definitions: encloseOne(innermost, defs, r)}
	}
	return answers[:min(len(asked), MaxEnclosing)]
}

func encloseOne(innermost []int, defs []Definition, r LineRange) []EnclosingDefinition {
	first, last := max(r.Start, 1), min(r.End, len(innermost))
	if first > last {
		return []EnclosingDefinition{{Definition: NoDefinition, Share: 1}}
	}
	for def := innermost[first-1]; def != NoDefinition; def = defs[def].Parent {
		if full := defs[def].FullRange; full.StartLine <= r.Start && r.End <= full.EndLine {
			return []EnclosingDefinition{{Definition: def, Share: 1}}
		}
	}
	var shares []EnclosingDefinition
	place := make(map[int]int)
	for _, def := range innermost[first-1 : last] {
		at, known := place[def]
		if !known {
			at, place[def] = len(shares), len(shares)
			shares = append(shares, EnclosingDefinition{Definition: def})
		}
		shares[at].Share++
	}
	for i := range shares {
		shares[i].Share /= float64(last - first + 1)
	}
	return shares
}

// innermostByLine gives each line the definition that begins last among those that hold it.
func innermostByLine(count int, defs []Definition) []int {
	result := make([]int, count)
	var open []int
	next := 0
	for line := 1; line <= count; line++ {
		for next < len(defs) && defs[next].FullRange.StartLine <= line {
			open = append(open, next)
			next++
		}
		for len(open) > 0 && defs[open[len(open)-1]].FullRange.EndLine < line {
			open = open[:len(open)-1]
		}
		result[line-1] = NoDefinition
		if len(open) > 0 {
			result[line-1] = open[len(open)-1]
		}
	}
	return result
}
