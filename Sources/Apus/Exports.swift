// The vocabulary a caller needs beside `Embedder`: errors, precisions, devices.
@_exported public import ApusErrors
@_exported public import ApusTensor
