package endpoints

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vigil/source"
)

var update = flag.Bool("update", false, "rewrite generated files")

const reference = "../../docs/endpoints.md"

// TestGenerated holds the documentation to the schema.
func TestGenerated(t *testing.T) {
	template, err := os.ReadFile("testdata/endpoints.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	root, _ := source.Parse("schema.json", schema)
	if root == nil {
		t.Fatal("the schema cannot be read")
	}
	var rows strings.Builder
	document(&rows, "", root.Field("$defs").Field("endpoint"))
	want := strings.Replace(string(template), "{{keys}}\n", rows.String(), 1)
	if *update {
		if err := os.WriteFile(reference, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/endpoints.md is out of date, run go test ./config/endpoints -update: %s", diff)
	}
}

// TestExampleOfTheReference parses the endpoint that the documentation shows.
func TestExampleOfTheReference(t *testing.T) {
	page, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	example, _, found := strings.Cut(rest, "```")
	list, problems := Parse("example.yaml", []byte(example))
	if !found || len(problems) > 0 || len(list) != 1 || list[0].Auth.OAuth2 == nil || !list[0].RetryOn.Default {
		t.Errorf("%+v, %v", list, problems)
	}
}

// document writes a row for each key of an object, in the order of the schema, and the keys below it after it.
func document(rows *strings.Builder, prefix string, object *source.Node) {
	required := string(object.Field("required").AppendJSON(nil))
	for _, f := range object.Field("properties").Fields {
		text := func(name string) string {
			if n := f.Value.Field(name); n != nil {
				return n.Text
			}
			return ""
		}
		kind := text("type")
		switch n := f.Value; {
		case n.Field("$ref") != nil:
			kind = "secret"
		case n.Field("enum") != nil:
			kind = strings.Trim(strings.ReplaceAll(string(n.Field("enum").AppendJSON(nil)), `"`, "`"), "[]")
		case kind == "":
			kind = "number, string"
		}
		otherwise := "–"
		if d := f.Value.Field("default"); d != nil {
			otherwise = "`" + strings.ReplaceAll(string(d.AppendJSON(nil)), `"`, "") + "`"
		} else if strings.Contains(required, `"`+f.Name+`"`) {
			otherwise = "required"
		}
		fmt.Fprintf(rows, "| `%s%s` | %s | %s | %s |\n", prefix, f.Name, kind, otherwise, text("description"))
		if f.Value.Field("properties") != nil {
			document(rows, prefix+f.Name+".", f.Value)
		}
	}
}

// TestEveryKeyIsDescribed wants a sentence for every key of the schema.
func TestEveryKeyIsDescribed(t *testing.T) {
	var walk func(place string, node map[string]any)
	walk = func(place string, node map[string]any) {
		properties, _ := node["properties"].(map[string]any)
		for name, value := range properties {
			member := value.(map[string]any)
			if text, _ := member["description"].(string); !strings.HasSuffix(text, ".") {
				t.Errorf("%s%s has no sentence", place, name)
			}
			walk(place+name+".", member)
		}
	}
	var root struct {
		Defs map[string]map[string]any `json:"$defs"`
	}
	if err := json.Unmarshal(schema, &root); err != nil {
		t.Fatal(err)
	}
	walk("", root.Defs["endpoint"])
}
