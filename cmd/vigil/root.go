package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// helpTemplate puts the examples first.
const helpTemplate = `{{if .HasExample}}Examples:
{{.Example}}

{{end}}{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}`

const usageTemplate = `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Global flags:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableSubCommands}}

"{{.CommandPath}} COMMAND --help" says more about a command.{{end}}
`

// rootCommand is `vigil` with all its commands.
func rootCommand() *cobra.Command {
	cobra.EnableCommandSorting = false
	root := &cobra.Command{
		Use:   "vigil",
		Short: "Watches what users do on Kafka topics and sends a webhook when a campaign says so",
		Example: example(`
			vigil demo                                         see it work, nothing needed
			vigil lint ./campaigns                             every mistake at once
			vigil simulate --campaigns ./campaigns --events day.ndjson --until drain
			vigil run --config vigil.yaml                      processor and sink in one`),
		Args:          noCommand,
		RunE:          group,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageTemplate(usageTemplate)
	root.SetFlagErrorFunc(flagError)
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(
		demoCommand(), runCommand(), processorCommand(), sinkCommand(), brokerCommand(), topicsCommand(), produceCommand(),
		lintCommand(), simulateCommand(), verifyCommand(), schemaCommand(), deliveriesCommand(), deadLettersCommand(),
		endpointsCommand(), stateCommand(),
		doctorCommand(), configCommand(), versionCommand(),
		healthcheckCommand(), demoGeneratorCommand(), demoReceiverCommand(),
	)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	strict(root)
	exemplify(root)
	return root
}

// strict makes those commands that cobra adds by itself refuse names that they do not know.
func strict(root *cobra.Command) {
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.Args, c.RunE = noCommand, group
		case "help":
			c.RunE = func(_ *cobra.Command, args []string) error {
				about, unknown, err := root.Find(args)
				if err == nil {
					err = noCommand(about, unknown)
				}
				if err != nil {
					return err
				}
				return about.Help()
			}
		}
	}
}

// exemplify gives a command that has no examples its plain form as one: every help begins with examples.
func exemplify(cmd *cobra.Command) {
	if cmd.Example == "" {
		cmd.Example = "  " + cmd.CommandPath()
	}
	for _, c := range cmd.Commands() {
		exemplify(c)
	}
}

// example strips the indentation of a raw string and indents by two spaces.
func example(text string) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = "  " + strings.TrimLeft(line, "\t")
	}
	return strings.Join(lines, "\n")
}
