# The command's own completions: the package that would load them from a folder is not here.
[ -z "${BASH_VERSION-}" ] || eval "$(hearth completions bash)"
