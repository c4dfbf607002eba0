package main

import (
	"io"
	"os"
)

// terminal tells whether w is a screen.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	stat, err := f.Stat()
	return err == nil && stat.Mode()&os.ModeCharDevice != 0
}

// colours tells whether to write in colours to w: on a terminal, unless NO_COLOR is set or TERM is dumb; CLICOLOR_FORCE
// wants them elsewhere too.
func colours(w io.Writer) bool {
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	if force := os.Getenv("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	return terminal(w) && os.Getenv("TERM") != "dumb"
}
