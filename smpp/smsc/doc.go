// Package smsc is a simulated SMSC: a peer for SMPP clients, not a mock.
//
// It speaks SMPP 3.4 with code of its own, which shares nothing with the
// client in package smpp, so that neither hides a mistake of the other. It
// checks credentials and bind states, reads every submit_sm it accepts down
// to the text, keeps receipts and messages until they are acknowledged, brings
// them again where they were refused or a session broke, and behaves as badly
// as it is told to: see Config, Verdict and ParseFaults.
//
// It is honest enough for clients written by others, and it is never the
// bottleneck of a measurement.
//
// It imports no package of ours.
package smsc
