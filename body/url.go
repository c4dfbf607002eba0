package body

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"vigil/template"
)

const maxURL = 8 << 10 // bytes of a rendered URL or path

// origin is the scheme, host and port that a URL begins with.
func origin(text string) string {
	_, rest, found := strings.Cut(text, "://")
	if !found {
		return ""
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[end:]
	} else {
		rest = ""
	}
	return strings.TrimSuffix(text, rest)
}

// renderURL renders a URL, or a path with its query. Outputs are percent-encoded; one that would change the host, leave
// the path or be no URL any more is an error.
func renderURL(t *template.Text, s *template.Scope) (string, error) {
	text, err := t.Render(s, escapeURL)
	if err == nil {
		if err = checkURL(text, origin(t.Fixed())); err != nil {
			err = &template.Error{Where: t.Where, Err: err}
		}
	}
	if err != nil {
		return "", err
	}
	return text, nil
}

// escapeURL encodes an output by where it stands: in the path or in the query.
func escapeURL(before, value string) string {
	if strings.Contains(before, "?") {
		return url.QueryEscape(value)
	}
	return url.PathEscape(value)
}

// checkURL checks a rendered URL against its fixed origin; for a path the origin is empty.
func checkURL(text, fixed string) error {
	if len(text) > maxURL {
		return fmt.Errorf("longer than %d bytes", maxURL)
	}
	if strings.IndexFunc(text, func(c rune) bool { return c <= ' ' || c >= 0x7f }) >= 0 {
		return errors.New("a URL is ASCII without spaces; percent-encode the rest")
	}
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("no valid URL: " + strings.TrimPrefix(err.Error(), "parse "))
	}
	if origin(text) != fixed || fixed == "" && (u.Scheme != "" || u.Host != "" || !strings.HasPrefix(text, "/")) {
		return errors.New("an output must not change the scheme, the host or the port")
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return fmt.Errorf("%q is no segment of a path", segment)
		}
	}
	return nil
}
