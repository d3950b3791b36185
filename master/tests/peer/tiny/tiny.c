/* Runs what it is told to. */
#include <unistd.h>

int main(int count, char **words)
{
    if (count < 2)
        return 2;
    execvp(words[1], words + 1);
    return 1;
}
