package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"witan.dev/internal/auth"
)

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make bearer tokens",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "new OWNER",
		Short: "Make a token for an owner",
		Long: `Make a token for an owner: on the first line the token itself, which is shown this once and kept nowhere; on the second
the line for the file that auth.tokens_file names. A server that follows the file knows the token within about a second.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.newToken(args[0]) },
	})
	return cmd
}

func (a *app) newToken(owner string) error {
	text := auth.NewSecret()
	entry, err := auth.NewToken(owner, text)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(a.stdout, "%s\n%s\n", text.Reveal(), entry); err != nil {
		return err
	}
	a.say("give the first line to %s; put the second into the file that auth.tokens_file names", owner)
	return nil
}
