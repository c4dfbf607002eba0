package source

import (
	"fmt"
	"strings"
)

// Severity says whether a problem stops the file from being used.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Problem is one mistake in a file. Line and Col count from 1; both are 1 where the file as a whole is meant.
type Problem struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Col      int      `json:"col"`
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`
	Excerpt  string   `json:"excerpt,omitempty"` // the line, and a caret under the place
}

// String is the problem on one line: `file:line:col: severity: code: message`.
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s: %s", p.File, p.Line, p.Col, p.Severity, p.Code, p.Message)
}

// Failed tells whether any of the problems is an error.
func Failed(problems []Problem) bool {
	for _, p := range problems {
		if p.Severity == Error {
			return true
		}
	}
	return false
}

// excerpt shows a line with a caret under the column; empty where there is no such line.
func excerpt(lines []string, line, col int) string {
	if line < 1 || line > len(lines) {
		return ""
	}
	text := []rune(strings.TrimRight(lines[line-1], "\r"))
	col = min(max(col, 1), len(text)+1)
	const before, after = 60, 100 // characters shown of a long line
	from := max(0, col-1-before)
	to := min(len(text), col-1+after)
	shown := strings.ReplaceAll(string(text[from:to]), "\t", " ")
	gutter := fmt.Sprintf("%4d | ", line)
	return gutter + shown + "\n" + strings.Repeat(" ", len(gutter)-2) + "| " + strings.Repeat(" ", col-1-from) + "^"
}

// Nearest is the name closest to the given one, if it is close enough to be a slip of the finger; else "".
func Nearest(name string, names []string) string {
	best, most := "", max(1, min(3, len(name)/3))
	for _, candidate := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(candidate)); d <= most {
			best, most = candidate, d-1
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their neighbour; names longer than 64 are far.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var rows [3][65]int
	for j := range len(b) + 1 {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		older, old, row := &rows[(i+2)%3], &rows[i%3], &rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(old[j]+1, row[j-1]+1, old[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}
