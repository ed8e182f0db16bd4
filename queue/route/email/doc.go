// Package email is a way out by e-mail: a route that hands messages to the
// shop's mail server (RFC 5321, submission as in RFC 6409).
//
// What it promises:
//
//   - A mail is with the server, or it is not, or that is not known, and the
//     three are never mixed up. The server takes a mail over when it answers the
//     final dot (RFC 5321 §4.1.1.4, §6.1): before the dot is written nothing was
//     sent; a dot without an answer is Unknown.
//   - No password and no mail travels in plain sight unless the settings say so,
//     and a password not even then.
//   - A wrong password is tried once and then rarely: servers lock accounts.
//   - Nothing that a customer's name or a text holds can begin a header, a
//     command or another mail.
//
// It may import route and text. The SMTP conversation is that of
// github.com/wneessen/go-mail/smtp; the mail itself is written here.
//
// Reading order: email.go (settings), run.go (how the server is watched),
// send.go (one message, one verdict), wire.go (one connection), reply.go (what
// the server's answers mean), letter.go (the mail).
package email
