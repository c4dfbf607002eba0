package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vigil/source"
)

// The exit codes of interface 1.
const (
	exitFailure     = 1   // findings or failure
	exitUsage       = 2   // a wrong flag, argument or command
	exitInvalid     = 3   // configuration or campaigns invalid
	exitUnreachable = 4   // something needed cannot be reached
	exitInterrupted = 130 // ^C
)

// exitError is an error that knows its exit code. A nil err means that all is said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exit gives an error its exit code; a nil err prints nothing more.
func exit(code int, err error) error { return &exitError{code, err} }

func usagef(format string, args ...any) error { return exit(exitUsage, fmt.Errorf(format, args...)) }

// exitCode is the code that an error carries; 1 for one that carries none.
func exitCode(err error) int {
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	return exitFailure
}

// flagError turns a mistake in the flags into a usage error that names the nearest flag.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usagef("%w; see `%s --help`", err, cmd.CommandPath())
	}
	name := unknown.GetSpecifiedName()
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	dashes := "--"
	if unknown.GetSpecifiedShortnames() != "" {
		dashes = "-"
	}
	return unknownName("flag", dashes+name, prefixed("--", source.Nearest(name, names)), cmd)
}

// noCommand is the Args of a command that only groups others.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return unknownName("command", args[0], source.Nearest(args[0], names), cmd)
}

// group runs a command that only groups others: it shows the help, and wants a subcommand.
func group(cmd *cobra.Command, _ []string) error {
	if err := cmd.Help(); err != nil {
		return err
	}
	if cmd.HasParent() {
		return exit(exitUsage, nil)
	}
	return nil
}

func unknownName(kind, name, nearest string, cmd *cobra.Command) error {
	if nearest != "" {
		return usagef("unknown %s %s; did you mean %s?", kind, name, nearest)
	}
	return usagef("unknown %s %s; see `%s --help`", kind, name, cmd.CommandPath())
}

func prefixed(prefix, name string) string {
	if name == "" {
		return ""
	}
	return prefix + name
}

// exactly is the Args of a command that takes these arguments and no others.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == len(names):
			return nil
		case len(args) > len(names):
			return usagef("unexpected argument %q; see `%s --help`", args[len(names)], cmd.CommandPath())
		default:
			return usagef("missing %s; see `%s --help`", strings.Join(names[len(args):], ", "), cmd.CommandPath())
		}
	}
}
