// Package mailsim is a mail server that a test can steer: it speaks SMTP as RFC
// 5321 says, with STARTTLS (RFC 3207) and AUTH (RFC 4954), keeps what it is
// given, and fails at any point of the conversation when it is told to.
//
// It promises to be honest: it refuses commands out of order and lines that are
// no SMTP, takes no mail it did not answer for, and a mail is in Mails exactly
// if its final dot arrived, whatever was answered. It may import nothing of
// ours: it judges the route, so it shares no code with it.
package mailsim
