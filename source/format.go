package source

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// Formats are the names that Write knows; the first is for people.
func Formats() []string { return []string{"text", "json", "sarif", "github"} }

// Write writes problems in one of Formats: text with excerpt and hint, a JSON array, a SARIF 2.1.0 log, or commands of
// GitHub's workflow log. It errs on another format, and where w does.
func Write(w io.Writer, format string, problems []Problem) error {
	switch format {
	case "text":
		return writeText(w, problems)
	case "json":
		return writeJSON(w, append([]Problem{}, problems...))
	case "sarif":
		return writeJSON(w, sarif(problems))
	case "github":
		return writeGitHub(w, problems)
	default:
		return fmt.Errorf("format %q is none of %s", format, strings.Join(Formats(), ", "))
	}
}

func writeText(w io.Writer, problems []Problem) error {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.String() + "\n")
		if p.Excerpt != "" {
			b.WriteString(p.Excerpt + "\n")
		}
		if p.Hint != "" {
			b.WriteString("     = " + p.Hint + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func writeGitHub(w io.Writer, problems []Problem) error {
	text := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "::%s file=%s,line=%d,col=%d,title=%s::%s\n", p.Severity, property.Replace(p.File), p.Line, p.Col,
			property.Replace(p.Code), text.Replace(p.full()))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// full is the message with its hint.
func (p Problem) full() string {
	if p.Hint == "" {
		return p.Message
	}
	return p.Message + " (" + p.Hint + ")"
}

// sarifLog is the part of SARIF 2.1.0 that says where what is wrong.
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool    map[string]sarifDriver `json:"tool"`
	Results []sarifResult          `json:"results"`
}

type sarifDriver struct {
	Name  string              `json:"name"`
	Rules []map[string]string `json:"rules"`
}

type sarifResult struct {
	RuleID    string            `json:"ruleId"`
	Level     Severity          `json:"level"`
	Text      map[string]string `json:"message"`
	Locations []map[string]any  `json:"locations"`
}

func sarif(problems []Problem) sarifLog {
	run := sarifRun{Results: []sarifResult{}}
	driver := sarifDriver{Name: "vigil", Rules: []map[string]string{}}
	var codes []string
	for _, p := range problems {
		codes = append(codes, p.Code)
		run.Results = append(run.Results, sarifResult{
			RuleID: p.Code, Level: p.Severity, Text: map[string]string{"text": p.full()},
			Locations: []map[string]any{{"physicalLocation": map[string]any{
				"artifactLocation": map[string]string{"uri": filepath.ToSlash(p.File)},
				"region":           map[string]int{"startLine": p.Line, "startColumn": p.Col},
			}}},
		})
	}
	slices.Sort(codes)
	for _, code := range slices.Compact(codes) {
		driver.Rules = append(driver.Rules, map[string]string{"id": code})
	}
	run.Tool = map[string]sarifDriver{"driver": driver}
	return sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}
}
