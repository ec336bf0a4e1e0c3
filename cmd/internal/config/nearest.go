package config

import (
	"fmt"
	"slices"
	"strings"
)

// suggest is the end of a complaint about word: the nearest of the known words, or all of them if they are few.
func suggest(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	if len(known) == 0 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(known))
	return ": it is one of " + strings.Join(sorted, ", ")
}

// nearest is the known word that takes the fewest edits to reach, or "" when none is near: half of a word may be wrong.
func nearest(word string, known []string) string {
	best, bestEdits := "", min(max(2, len(word)/3), len(word)/2)+1
	for _, k := range known {
		if n := edits(strings.ToLower(word), strings.ToLower(k)); n < bestEdits {
			best, bestEdits = k, n
		}
	}
	return best
}

// edits counts the insertions, deletions and substitutions between two words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
