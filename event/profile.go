package event

import "encoding/json"

// MergeProfile applies a $profile event to a profile: set replaces top-level properties, then unset removes them
// (semantics 2.6). old is a JSON object or empty; so is the result, which shares nothing with old.
func MergeProfile(old []byte, set, unset Value) []byte {
	var r Reader
	gone := map[string]bool{}
	for _, name := range unset.Items() {
		gone[name.Text()] = true
	}
	out := append(make([]byte, 0, len(old)+64), '{')
	add := func(name []byte, member Value) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		quoted, _ := json.Marshal(string(name)) // a string always marshals
		out = append(append(out, quoted...), ':')
		out = member.AppendJSON(out)
	}
	r.Parse(old).Each(func(name []byte, member Value) {
		if !gone[string(name)] && set.Member(string(name)).Kind() == Missing {
			add(name, member)
		}
	})
	set.Each(func(name []byte, member Value) {
		if !gone[string(name)] {
			gone[string(name)] = true // of equal names the first counts
			add(name, member)
		}
	})
	return append(out, '}')
}
