package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"vigil/campaign"
	"vigil/source"
)

func lintCommand() *cobra.Command {
	format := "text"
	cmd := &cobra.Command{
		Use:   "lint PATH...",
		Short: "Tell every mistake in campaign files at once",
		Long: `Reads campaign files and the folders of such files that are named, and tells every mistake in all of them with its
place. Tests (*_test.yaml) are left out of folders. Ends with exit code 1 where there are errors; warnings alone are fine.`,
		Example: example(`
			vigil lint ./campaigns
			vigil lint -o sarif ./campaigns > lint.sarif
			vigil lint -o github ./campaigns                   in a GitHub workflow`),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("missing PATH; see `%s --help`", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return lint(cmd, args, format) },
	}
	cmd.Flags().VarP(&choice{&format, source.Formats()}, "output", "o", "format: text, json, sarif or github")
	return cmd
}

func lint(cmd *cobra.Command, paths []string, format string) error {
	campaigns, problems := campaign.Lint(paths)
	if err := source.Write(cmd.OutOrStdout(), format, problems); err != nil {
		return err
	}
	failed := campaign.Failed(problems)
	if format == "text" {
		fmt.Fprintln(cmd.ErrOrStderr(), summary(len(campaigns), problems))
	}
	if failed {
		return exit(exitFailure, nil)
	}
	return nil
}

// summary says on one line how it went.
func summary(campaigns int, problems []campaign.Problem) string {
	errors := 0
	for _, p := range problems {
		if p.Severity == source.Error {
			errors++
		}
	}
	return fmt.Sprintf("%s without errors; %s, %s", counted(campaigns, "campaign"), counted(errors, "error"), counted(len(problems)-errors, "warning"))
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
