package replay

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"vigil/trigger"
)

// AppendDecision appends a decision as JSON, with the keys and in the order of semantics 5; `at` is in epoch ms.
func AppendDecision(dst []byte, d *trigger.Decision) []byte {
	verdict := "skip"
	if d.Fire {
		verdict = "fire"
	}
	dst = append(append(dst, `{"decision":"`...), verdict...)
	for _, f := range [...]struct{ name, text string }{
		{`","reason":`, string(d.Reason)},
		{`,"campaign":`, d.CampaignID},
		{`,"user":`, d.User},
		{`,"key":`, d.Key},
		{`,"anchor":`, d.AnchorID},
		{`,"slot":`, d.Slot},
	} {
		dst = appendText(append(dst, f.name...), f.text)
	}
	dst = strconv.AppendInt(append(dst, `,"at":`...), d.At, 10)
	dst = appendText(append(dst, `,"fire_id":`...), d.FireID)
	dst = strconv.AppendInt(append(dst, `,"late_by_ms":`...), d.LateBy, 10)
	return append(dst, '}')
}

// appendText appends a JSON string; one that needs no escape, which is nearly every one, costs a copy.
func appendText(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf && !utf8.ValidString(s) {
			quoted, _ := json.Marshal(s) // a string always marshals
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}
