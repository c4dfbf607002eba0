package source_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vigil/source"
)

func TestWrite(t *testing.T) {
	problems := []source.Problem{
		{File: "a,b/c.yaml", Line: 2, Col: 3, Severity: source.Error, Code: "bad_id", Message: "id is 100% <wrong>", Hint: "write x", Excerpt: "   2 | id\n     | ^"},
		{File: "d.yaml", Line: 1, Col: 1, Severity: source.Warning, Code: "unused", Message: "m"},
	}
	for format, want := range map[string]string{
		"text": "a,b/c.yaml:2:3: error: bad_id: id is 100% <wrong>\n   2 | id\n     | ^\n     = write x\nd.yaml:1:1: warning: unused: m\n",
		"github": "::error file=a%2Cb/c.yaml,line=2,col=3,title=bad_id::id is 100%25 <wrong> (write x)\n" +
			"::warning file=d.yaml,line=1,col=1,title=unused::m\n",
		"json": `[{"file":"a,b/c.yaml","line":2,"col":3,"severity":"error","code":"bad_id","message":"id is 100% <wrong>",` +
			`"hint":"write x","excerpt":"   2 | id\n     | ^"},` +
			`{"file":"d.yaml","line":1,"col":1,"severity":"warning","code":"unused","message":"m"}]`,
		"sarif": `{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[{"tool":{"driver":` +
			`{"name":"vigil","rules":[{"id":"bad_id"},{"id":"unused"}]}},"results":[` +
			`{"ruleId":"bad_id","level":"error","message":{"text":"id is 100% <wrong> (write x)"},"locations":[{"physicalLocation":` +
			`{"artifactLocation":{"uri":"a,b/c.yaml"},"region":{"startLine":2,"startColumn":3}}}]},` +
			`{"ruleId":"unused","level":"warning","message":{"text":"m"},"locations":[{"physicalLocation":` +
			`{"artifactLocation":{"uri":"d.yaml"},"region":{"startLine":1,"startColumn":1}}}]}]}]}`,
	} {
		var b strings.Builder
		if err := source.Write(&b, format, problems); err != nil {
			t.Fatal(err)
		}
		if format == "json" || format == "sarif" {
			var got, wanted any
			if json.Unmarshal([]byte(b.String()), &got) != nil || json.Unmarshal([]byte(want), &wanted) != nil {
				t.Fatalf("%s: %s", format, b.String())
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("%s: %s", format, diff)
			}
			continue
		}
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
	if source.Write(&strings.Builder{}, "xml", nil) == nil {
		t.Error("xml is no format")
	}
}
