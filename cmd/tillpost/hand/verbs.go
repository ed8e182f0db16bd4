package hand

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// verb is one word of the command.
type verb struct {
	word  string
	usage string // after "tillpost "
	what  string
	run   Verb // nil: of Rest
}

// verbs is everything the command can do, in the order in which it is told.
var verbs = []verb{
	{"send", "send [-class C] [-priority N] [-at TIME] [-from F] [-ref R] [-pool P] TO TEXT\n  send -channel email [-subject S] ADDRESS TEXT", "send a message; TEXT - is read from stdin. -email ADDRESS beside a number: it goes on by e-mail if the SMS fails", (*Tool).send},
	{"show", "show ID", "one message and its whole story", (*Tool).show},
	{"list", "list [-state S] [-to NUMBER] [-ref R] [-n N]", "messages, newest first", (*Tool).list},
	{"cancel", "cancel ID", "stop a message that has not left", (*Tool).cancel},
	{"preview", "preview [-channel email] [-subject S] [-to NUMBER] [-class C] [-pool P] [-encoding E] [-lang L] TEXT\n  preview -template TEXT [-missing refuse|leave_out] [-n N] FILE.csv", "what would be sent, in how many parts, at what price; sends nothing. A template names columns of the file: #NAME#, [NAME], {name}", (*Tool).preview},
	{"status", "status", "how the box is, in one look", (*Tool).status},
	{"settings", "settings [KEY VALUE]", "every setting and where it comes from, or change one; VALUE null goes back", (*Tool).settings},
	{"routes", "routes", "modems and providers", (*Tool).routes},
	{"modem", "modem NAME (status|examine|restart|ussd CODE|pin)", "one modem; pin asks for the PIN, examine for what keeps messages from going", (*Tool).modem},
	{"key", "key (add NAME -scope S,S [-callback HOST,HOST] [-per-hour N] [-per-day N]|list|revoke NAME)", "keys of tills and scripts", (*Tool).keys},
	{"batch", "batch [-template NAME | -text TEXT] [-class C] [-at TIME] [-event ID -offset SPAN] [-all-or-nothing] FILE.csv", "send to the list in a file; without template and text each row brings its own", nil},
	{"contacts", "contacts (import [-dry] [-replace] [-all-or-nothing] [-how H] FILE.csv|export|optouts|erase NUMBER)", "the register; optouts lists who wants no advertising; erase forgets a person everywhere: messages, inbox, contacts and what is kept for tills", nil},
	{"backup", "backup FILE", "a copy of everything, made while the box works", nil},
	{"restore", "restore [-data DIR] FILE", "put a backup back; the daemon must not run, and what was there is kept", nil},
	{"support", "support FILE", "what a supplier needs to help, without numbers and texts", nil},
	{"check", "check [-data DIR]", "does the store hold together? Works without the daemon, too", nil},
	{"doctor", "doctor [-root DIR]", "this machine's modems, their ports, who else holds them, and what a hand must do", nil},
	{"tail", "tail [-n N]", "what happens, as it happens", nil},
}

func find(word string) *verb {
	i := slices.IndexFunc(verbs, func(v verb) bool { return v.word == word })
	if i < 0 {
		return nil
	}
	return &verbs[i]
}

func manual() string {
	var b strings.Builder
	b.WriteString("usage: tillpost [-socket PATH | -url URL -key KEY] [-json] VERB …\n\n")
	for _, v := range verbs {
		fmt.Fprintf(&b, "  %s\n      %s\n", v.usage, v.what)
	}
	b.WriteString("\nExit codes: 0 done, 1 refused or failed, 2 wrong use.\n")
	return b.String()
}

// FlagSet is empty and silent: what is wrong with a flag is told once, by run.
func FlagSet(word string) *flag.FlagSet {
	fs := flag.NewFlagSet(word, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// Parse reads flags wherever they stand, as `key add till -scope send` wants;
// after -- everything is taken as it is. It returns the other words, which
// must be as many as names.
func Parse(fs *flag.FlagSet, args []string, names ...string) ([]string, error) {
	var rest, words []string
	if i := slices.Index(args, "--"); i >= 0 {
		args, rest = args[:i], args[i+1:]
	}
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			return nil, ErrUse(err.Error())
		}
		args = fs.Args()
		if len(args) > 0 {
			words, args = append(words, args[0]), args[1:]
		}
	}
	words = append(words, rest...)
	switch {
	case len(words) < len(names):
		return nil, ErrUse(names[len(words)] + " is missing")
	case len(words) > len(names):
		return nil, ErrUse(fmt.Sprintf("%q is one word too many; put a text of several words in quotes", words[len(names)]))
	}
	return words, nil
}
